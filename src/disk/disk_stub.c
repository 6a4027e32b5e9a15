extern int vic_disk_stub;
int vic_disk_stub;

extern int vic_net_stub;
int vic_net_stub;

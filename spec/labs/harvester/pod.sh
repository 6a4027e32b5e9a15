# sh -c "$(cat pod.sh)" pod FOLDER PROGRAM   In a mount and a PID namespace: run CDI's importer, whose paths are
# fixed, on the machine's programs, with FOLDER/data and, where it is there, FOLDER/scratch as its volumes.
set -eu
cd "$1"
mkdir -p root data tmp
mount -t tmpfs -o mode=755 pod root
for top in bin etc lib lib64 sbin usr; do
  if [ -L "/$top" ]; then
    cp -P "/$top" "root/$top"
  elif [ -d "/$top" ]; then
    mkdir "root/$top"
    mount --rbind "/$top" "root/$top"
  fi
done
mkdir root/dev root/proc
mount -t proc proc root/proc
: > termination-log
: > root/importer
mount --bind "$2" root/importer
for file in null random urandom zero; do
  : > "root/dev/$file"
  mount --bind "/dev/$file" "root/dev/$file"
done
: > root/dev/termination-log
mount --bind termination-log root/dev/termination-log
for folder in data scratch tmp; do
  if [ -d "$folder" ]; then
    mkdir "root/$folder"
    mount --bind "$folder" "root/$folder"
  fi
done
exec chroot root /importer

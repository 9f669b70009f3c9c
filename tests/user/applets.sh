# More than 60 applets of BusyBox on files of their own making: the same output on every system.
# Run in an empty folder, with the applets alone in PATH.  Nothing here depends on time, process numbers or machine.
set -u
umask 022
n=0
section() {
	n=$((n + 1))
	echo "--- $n: $*"
}

section 'seq printf echo true false test expr'
seq 1 5
seq 10 -3 0
printf '%s-%05d-%x\n' word 42 255
true && echo yes
false || echo no
test 3 -lt 4 && echo less
[ -d . ] && echo folder
expr 6 \* 7
expr length hello
expr abcdef : 'abc\(.*\)'

section 'mkdir touch ls cp mv rm rmdir ln readlink realpath'
mkdir -p a/b/c
touch a/one a/two a/b/three
ls -R a
cp -r a copy
mv copy moved
ls moved
rm -r moved/b
rmdir moved 2>/dev/null || echo 'not empty'
rm -rf moved
ln -s a/one link
ln a/two hard
readlink link
test link -ef a/one && echo same
ls -l link | cut -d' ' -f1
readlink -f link | sed 's,.*/a/,a/,'
realpath a/b/../one | sed 's,.*/a/,a/,'
unlink hard

section 'cat tac rev head tail nl fold'
seq 1 20 >numbers
cat numbers | head -n 3
tail -n 2 numbers
tail -n +18 numbers
tac numbers | head -n 2
echo hello world | rev
printf 'one\ntwo\n' | nl
echo abcdefghijklmnop | fold -w 5
head -c 7 numbers | od -An -c

section 'sort uniq wc tr cut paste'
printf 'pear\napple\nfig\napple\n' >fruit
sort fruit
sort -u fruit
sort -rn numbers | head -n 2
sort fruit | uniq -c | sed 's/^ *//'
sort fruit | uniq -d
wc -l <numbers
wc -w <fruit
wc -c <fruit
echo Hello | tr 'a-zA-Z' 'b-zaB-ZA'
echo 'a  b   c' | tr -s ' '
echo one:two:three | cut -d: -f2
echo abcdef | cut -c2-4
paste -d, fruit fruit

section 'grep egrep fgrep sed awk'
grep -n app fruit
grep -c apple fruit
grep -v apple fruit
grep -iE '^(PEAR|fig)$' fruit
egrep 'p{2}' fruit
fgrep -x fig fruit
sed -n '2,3p' fruit
sed 's/a/A/g;$d' fruit
awk '{ s += $1 } END { print s, NR }' numbers
awk -F: 'BEGIN { OFS = "-" } { print $2, $1 }' <<-END
	left:right
	up:down
END

section 'find xargs'
find a | sort
find a -type f -name 't*' | sort
find a -type d -exec echo dir {} \; | sort
find a -type f | sort | xargs -n 2 echo
find a -empty -type d | sort

section 'dd cmp diff patch'
dd if=numbers of=piece bs=1 skip=2 count=6 2>/dev/null
cat piece
dd if=/dev/zero bs=1k count=8 2>/dev/null | wc -c
cp numbers changed
cmp numbers changed && echo equal
echo 21 >>changed
sed -i 's/^7$/seven/' changed
cmp numbers changed
diff -u numbers changed | grep '^[-+][^-+]'
diff numbers changed >difference
cp numbers patched
diff -u numbers changed | sed '1,2s/\t.*//' >unified
patch patched <unified
cmp patched changed && echo patched

section 'gzip gunzip zcat bzip2 bunzip2 bzcat xz lzma cpio tar'
i=0
while [ $i -lt 2000 ]; do
	echo "line $i of a file that can be packed well"
	i=$((i + 1))
done >big
gzip -c big >big.gz
zcat big.gz | cmp - big && echo gzip
cp big.gz again.gz
gunzip again.gz
cmp big again && echo gunzip
bzip2 -c big >big.bz2
bzcat big.bz2 | cmp - big && echo bzip2
tar cf all.tar a big fruit
tar tf all.tar | sort
mkdir out
tar xf all.tar -C out
cmp out/big big && echo tar
tar czf all.tgz a
tar tzf all.tgz | sort
find a | sort | cpio -o -H newc 2>/dev/null >a.cpio
cpio -t <a.cpio 2>/dev/null

section 'md5sum sha1sum sha256sum sha512sum sha3sum'
md5sum fruit
sha1sum fruit
sha256sum big
sha512sum fruit | cut -c1-40
sha3sum fruit | cut -c1-40
md5sum fruit >sums
md5sum -c sums

section 'od hexdump xxd base64 uuencode strings'
printf 'AB\001\377' | od -An -tx1
printf 'hello' | hexdump -C
printf 'binary data' | xxd
printf 'hello base64' | base64
printf 'aGVsbG8=' | base64 -d
echo
uuencode -m name <fruit | head -n 1
printf 'ab\000printable\001' | strings

section 'basename dirname which tee yes env'
basename /some/where/file.txt .txt
dirname /some/where/file.txt
echo twice | tee copied
cat copied
yes no | head -n 2
env -i A=1 env
sh -c 'echo $0 $1' zero one

section 'chmod stat mktemp truncate mkfifo'
chmod 640 fruit
stat -c '%a %s %F' fruit
chmod u+x,g-r fruit
stat -c %A fruit
truncate -s 100 sparse
stat -c %s sparse
mkfifo pipe
(echo through a fifo >pipe &)
cat pipe
t=$(mktemp tmp.XXXXXX)
test -f "$t" && echo made

section 'date cal factor bc dc seq sleep usleep timeout'
date -u -d @86400 '+%Y-%m-%d %H:%M:%S'
cal 2 2024
factor 360
echo '2 3 * 4 + p' | dc
echo '2^40 + 1' | bc
sleep 0.01
usleep 1000
timeout 1 sleep 5
echo "timeout: $?"
timeout 5 true && echo in time

section 'the shell itself'
f() { return 3; }
f
echo $?
set -- a b c
echo $# "$2"
shift
echo "$*"
case hello in h*o) echo matched ;; esac
x=abcdef
echo ${x#abc} ${x%def} ${#x} ${y:-default}
echo $((0x10 + 010)) $((7 / 2)) $((1 << 40))
for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done
(exit 7)
echo $?
sh -c 'kill -TERM $$'
echo $?
trap 'echo trapped' USR1
kill -USR1 $$
cat <<END | sort -r
one $((1 + 1))
two
END
echo a b c | { read -r p q; echo "$q/$p"; }
sleep 0.05 & sleep 0.1 & wait
echo waited
echo {a,b} *.gz
ls -d [ab]
exec 3>third
echo via three >&3
exec 3>&-
cat third
! false && echo negated
set -o pipefail 2>/dev/null
printf 'a\0b\0' | xargs -0 -n 1 echo

section 'who is who and what is what'
id -u nobody >/dev/null 2>&1
uname -m
nproc >/dev/null && echo counted
pwd | sed 's,.*/,,' | wc -l
ps >/dev/null && echo listed
hostname >/dev/null && echo named
df >/dev/null && echo free
free >/dev/null && echo memory
uptime >/dev/null && echo up
tty -s || true
getopt -o ab: -- -a -b value rest
logname >/dev/null 2>&1 || true
nohup true >/dev/null 2>&1 && echo nohup
setsid true && echo setsid
pidof no-such-program || echo none
crontab -l >/dev/null 2>&1 || true
ipcalc -n 192.168.1.77/24
rm -rf a
echo "sections: $n"

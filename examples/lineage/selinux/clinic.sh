# Says what each program could do with the records: a line each, "yes" or "no".
try() {
    name=$1
    shift
    if "$@" > /dev/null 2>&1; then echo "$name: yes"; else echo "$name: no"; fi
}
add() { echo "Edsger, 1930" | dd of=/records/people oflag=append conv=notrunc; }
look() { read -r line < /records/people; }

cp /usr/bin/head /tmp/head
try "head reads" head -n 1 /records/people
try "tail reads" tail -n 1 /records/people
try "dd adds" add
try "dd reads" dd if=/records/people
try "the shell reads" look
try "a copy of head reads" /tmp/head -n 1 /records/people
try "rm removes" rm /records/people

# Told a line, answers a line: "open" and "close" a connection, "row" is the row of its counters.
while read -r word; do
    case $word in
    open)
        if { exec {fd}<>/dev/tcp/127.0.0.1/"$PORT" && read -r hello <&"$fd"; } 2>/dev/null; then
            fds+=("$fd")
            echo "$hello"
        else
            echo refused
        fi ;;
    close)
        fd=${fds[-1]}
        unset 'fds[-1]'
        exec {fd}>&-
        echo closed ;;
    row)
        found=none
        while read -r resource rest; do [ "$resource" = d1.connect ] && found=$rest; done </mnt/ns/beancounters
        echo $found ;;
    esac
done

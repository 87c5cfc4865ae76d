# Does nothing but wait: this is what an honest caller does.
echo $(ls /tools)
sh /tools/convert 8

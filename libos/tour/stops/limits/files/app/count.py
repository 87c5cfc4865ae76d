"""Counts the words of a text, by way of a file."""

with open("/scratch/text", "w") as file:
    file.write("to be counted")
with open("/scratch/text") as file:
    print("words:", len(file.read().split()))

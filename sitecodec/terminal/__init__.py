"""What is printed: lines of text, names made safe, a bar while something lasts."""

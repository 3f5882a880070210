"""Points: thanks, counted, under rules that the council adopted."""

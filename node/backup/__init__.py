"""What an operator needs when a disk dies: backup, restore, and an export in open formats."""

"""Every act of staff and of relatives: who did it, in which role, for whom, when."""

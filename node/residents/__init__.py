"""Who lives here, who may do what, and who may act for whom."""

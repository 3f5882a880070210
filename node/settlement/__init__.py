"""Who owes whom at the end of the period: statements, batches, and what the chain says."""

"""Is all well? Answers for the operator, in green and red with words."""

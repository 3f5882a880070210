"""The district's office: who belongs, who trains, who owes whom; no resident data ever arrives."""

"""What all pages and API handlers share: who is calling, how pages look, how a refusal reads."""

"""What a built site weighs, and how it does in audits."""

"""Amazon SNS: the envelope of notifications and subscription confirmations, and its signature."""

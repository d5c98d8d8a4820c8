"""What the API server asks before it stores an object, the certificate it asks by, and how it comes to trust that."""

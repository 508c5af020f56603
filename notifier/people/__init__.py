"""What people and those who look after them do outside of an event: choose, import, export, write back."""

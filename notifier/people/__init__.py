"""Actions of people and their support outside events: choosing, importing, exporting, texting back."""

"""E-mail by SMTP, to a relay of one's own or a provider's."""

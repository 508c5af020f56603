"""SMS by Twilio's Messages resource."""

"""The demo and the replay: charging sessions, real or like real ones, told to people who don't exist."""

"""How texts are published: the checks that a draft must pass, and its publication as a version."""

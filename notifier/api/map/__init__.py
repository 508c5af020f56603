"""`/map`: where one can charge now, as a page and as a part of other pages."""

"""Lists of objects that stay fast however long they grow: filters, pages, cursors, rows by number."""

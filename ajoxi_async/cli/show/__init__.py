"""How answers of the API are written: as a table, as JSON, as lines of JSON, as CSV."""

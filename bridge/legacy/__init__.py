"""The legacy language: bytes in, rows out; entries in, reply out.

- `body`         bytes of a request → one `Envelope` of raw rows (`transfer` undoes codings; `scan` is the slow twin)
- `fingerprint`  raw rows → what makes two contents the same
- `schema`       the one declaration of what a row may look like: it alone coerces, decides and words errors
- `fast`         the lane for rows that need no coercion at all
- `reader`       one raw row → `Row`, or an `Outcome` that says why not
- `rendering`    entries → the bytes of a reply
- `openapi`      the same surface, described for machines
"""

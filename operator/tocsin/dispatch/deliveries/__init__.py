"""Messages to channels and people: from rows of `delivery` to what vendors take, durably and at least once.

`start_deliveries` (in `running`) is all that a process needs.
"""

"""Messages to channels and people: from rows of `delivery` to what vendors take, durably and at least once."""

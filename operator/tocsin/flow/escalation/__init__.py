"""Escalation, pure: a run of a chain, the rules of each person, and the reminder of who acknowledged.

Each is a value that the store keeps, and a function of (value, facts, now) that answers the next value, what is to
happen, and when to ask again. Who calls it stores all three in one transaction.
"""

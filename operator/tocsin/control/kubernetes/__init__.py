"""Kubernetes as a source of declared objects: watch, compile, publish, and say on each object what came of it.

kopf delivers events; the inventory, the sweep, the Lease and every write to the API server are in this package. The
receiver never waits for any of it.
"""

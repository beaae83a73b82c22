"""The grader as an HTTP service: one thread owns the model, the rest is bounded waiting.

Starlette and uvicorn are loaded when the service starts. No submission and no text is ever logged.
"""

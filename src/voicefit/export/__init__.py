"""A model as one file or one folder: ONNX, and a page that runs it in a browser."""

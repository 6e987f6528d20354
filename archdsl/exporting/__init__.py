"""Networks as files for other tools: ONNX, `torch.export`'s pt2, and Python source; written here, checked above.

`archdsl.runtimes` opens what is written here by the code that measures it, and refuses a file that is wrong.
"""

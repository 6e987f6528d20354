"""Images with labels: folders, .npz files, Hugging Face data sets, and the generated set that ships."""

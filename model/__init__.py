"""From 28x28 crops to readings: charsets, data sets, the network, the classifier, the decoder.

Knows neither segmentation nor Beam. TensorFlow is imported only inside functions that train or export.
"""

"""Pictures through a trained model: batched, cached, by TensorFlow or by ONNX Runtime."""

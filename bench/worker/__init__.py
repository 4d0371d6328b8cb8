"""The worker side: one process a cell. Only below here are torch, torchvision, timm and fvcore imported."""

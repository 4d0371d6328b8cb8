"""What people write: a plain training script with torchvision's transforms, ImageFolder and DataLoader, to compare to.

    python tests/benchmarks/plain_training.py FOLDER MODEL EPOCHS [TRACKING-URI]

FOLDER has train/CLASS/ and test/CLASS/. SGD with momentum and cosine decay, batches of 128, crop and flip, fp32, and a
test on all test images after each epoch; with a URI the run is tracked by MLflow, as bench tracks it. It follows
torchvision's own tutorials: nothing is tuned, and nothing is slowed down.
"""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import models, transforms
from torchvision.datasets import ImageFolder

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
WORKERS = 2


def loaders(folder: str) -> tuple[DataLoader, DataLoader]:  # type: ignore[type-arg]
    """Training and test batches of 32-pixel images."""
    normalise = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    augment = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    train = ImageFolder(f"{folder}/train", transforms.Compose([*augment, *normalise]))
    test = ImageFolder(f"{folder}/test", transforms.Compose(normalise))
    return (
        DataLoader(train, batch_size=128, shuffle=True, num_workers=WORKERS, drop_last=True),
        DataLoader(test, batch_size=128, num_workers=WORKERS),
    )


def main() -> None:
    """Train, test each epoch, print."""
    folder, model, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    tracked = len(sys.argv) > 4
    if tracked:
        import mlflow

        mlflow.set_tracking_uri(sys.argv[4])
        mlflow.set_experiment("plain")
        mlflow.start_run()
        mlflow.log_params({"model": model, "epochs": epochs, "batch_size": 128, "lr": 0.1})
    train, test = loaders(folder)
    net = getattr(models, model)(num_classes=len(train.dataset.classes))  # type: ignore[attr-defined]
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for images, labels in train:
            optimizer.zero_grad()
            loss = criterion(net(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        scheduler.step()
        net.eval()
        hits = seen = 0
        with torch.no_grad():
            for images, labels in test:
                hits += int((net(images).argmax(1) == labels).sum())
                seen += len(labels)
        print(f"epoch {epoch + 1}: loss {total / len(train):.3f}, top-1 {100 * hits / seen:.2f}%")
        if tracked:
            mlflow.log_metrics({"train/loss": total / len(train), "test/top1": 100 * hits / seen}, step=epoch + 1)
    if tracked:
        mlflow.end_run()


if __name__ == "__main__":
    main()

"""The service most people would write from the same idea, to be measured against.

python -m bench.naive_server PORT

librosa decodes and resamples, librosa computes the log-mel spectrogram, PyTorch runs ResNet50
eagerly in fp32, one request at a time per worker thread. Random weights: only its speed is of
interest.
"""

import io
import sys

import librosa
import numpy as np
import torch
import torchvision
import uvicorn
from fastapi import FastAPI, UploadFile

SAMPLE_RATE, SECONDS = 22_050, 4.0
app = FastAPI()
model = torchvision.models.resnet50(num_classes=10)
model.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)
model.eval()


@app.post("/classify/urban-sound")
def classify(file: UploadFile) -> dict[str, object]:
    """Return the label and the probabilities of the first four seconds."""
    samples, rate = librosa.load(
        io.BytesIO(file.file.read()), sr=SAMPLE_RATE, mono=True, duration=SECONDS
    )
    samples = np.pad(samples, (0, max(0, int(SAMPLE_RATE * SECONDS) - len(samples))))
    mel = librosa.feature.melspectrogram(
        y=samples, sr=rate, n_fft=1024, hop_length=512, n_mels=128, window="hann"
    )
    spectrogram = librosa.power_to_db(mel, ref=np.max)
    with torch.no_grad():
        logits = model(torch.from_numpy(spectrogram[None, None]).float())
    probabilities = torch.softmax(logits, 1)[0]
    return {"label": int(probabilities.argmax()), "probabilities": probabilities.tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")

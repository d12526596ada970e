"""The service most people would write from the same idea, to be measured against.

librosa decodes and resamples, librosa computes the log-mel spectrogram, PyTorch runs ResNet50
eagerly in fp32, one request at a time per worker thread. Random weights: only its speed is of
interest.

uvicorn bench.naive_server:app --port 8801 --log-level warning
"""

import io

import librosa
import numpy as np
import torch
import torchvision
from fastapi import FastAPI, UploadFile

SAMPLE_RATE, SECONDS = 22_050, 4.0
app = FastAPI()
model = torchvision.models.resnet50(num_classes=10)
model.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)
model.eval()


@app.post("/classify/urban-sound")
def classify(file: UploadFile) -> dict:
    """Label and probabilities of the first four seconds."""
    samples, rate = librosa.load(
        io.BytesIO(file.file.read()), sr=SAMPLE_RATE, mono=True, duration=SECONDS
    )
    samples = np.pad(samples, (0, max(0, int(SAMPLE_RATE * SECONDS) - len(samples))))
    mel = librosa.feature.melspectrogram(
        y=samples, sr=rate, n_fft=1024, hop_length=512, n_mels=128, window="hann"
    )
    spectrogram = librosa.power_to_db(mel, ref=np.max)
    with torch.no_grad():
        probabilities = torch.softmax(model(torch.from_numpy(spectrogram[None, None]).float()), 1)[
            0
        ]
    return {"label": int(probabilities.argmax()), "probabilities": probabilities.tolist()}

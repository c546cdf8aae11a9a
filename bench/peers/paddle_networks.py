"""The networks of bench/training.h and bench/networks/ in Paddle; members are named as there, so that the parameters fit by
name."""
import re

import paddle
from paddle import nn
from paddle.nn import functional as F


class TinyMlp(nn.Layer):
    def __init__(self):
        super().__init__()
        self.layers = nn.LayerList([nn.Linear(16, 16) for _ in range(10)])

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class LeNet(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2D(1, 16, 5, padding=2, bias_attr=False)
        self.second = nn.Conv2D(16, 32, 5, padding=2, bias_attr=False)
        self.first_norm, self.second_norm = nn.BatchNorm2D(16), nn.BatchNorm2D(32)
        self.hidden, self.output = nn.Linear(32 * 7 * 7, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first_norm(self.first(x))), 2)
        x = F.max_pool2d(F.relu(self.second_norm(self.second(x))), 2)
        return self.output(F.relu(self.hidden(paddle.flatten(x, 1))))


class Attention(nn.Layer):
    def __init__(self, features, heads, causal):
        super().__init__()
        self.query, self.key, self.value, self.output = (nn.Linear(features, features) for _ in range(4))
        self.heads, self.causal = heads, causal

    def forward(self, x):
        q, k, v = (layer(x).reshape([*x.shape[:2], self.heads, -1]) for layer in (self.query, self.key, self.value))
        return self.output(F.scaled_dot_product_attention(q, k, v, is_causal=self.causal).flatten(2))


class GptBlock(nn.Layer):
    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, 4, causal=True)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        y = x + self.attention(self.first(x))
        return y + self.down(F.gelu(self.up(self.second(y)), approximate=True))


class CharGpt(nn.Layer):
    def __init__(self, width=128, vocabulary=65, context=128):
        super().__init__()
        self.characters, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.LayerList([GptBlock(width) for _ in range(4)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias_attr=False)

    def forward(self, x):
        h = self.characters(x) + self.positions.weight
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


class BertLayer(nn.Layer):
    def __init__(self, width):
        super().__init__()
        self.attention = Attention(width, 12, causal=False)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.attention_norm, self.output_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x):
        y = self.attention_norm(x + self.attention(x))
        return self.output_norm(y + self.down(F.gelu(self.up(y))))


class BertBase(nn.Layer):
    def __init__(self, width=768, length=128):
        super().__init__()
        self.words, self.positions = nn.Embedding(30522, width), nn.Embedding(length, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.LayerList([BertLayer(width) for _ in range(12)])

    def forward(self, tokens):
        x = self.norm(self.words(tokens) + self.positions.weight)
        for layer in self.layers:
            x = layer(x)
        return x


class BertClassifier(nn.Layer):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = BertBase(), nn.Linear(768, 2)

    def forward(self, tokens):
        return self.head(self.encoder(tokens)[:, 0])


class Bottleneck(nn.Layer):
    def __init__(self, inner, width, stride):
        super().__init__()
        self.reduce = nn.Conv2D(inner, width, 1, bias_attr=False)
        self.middle = nn.Conv2D(width, width, 3, stride, 1, bias_attr=False)
        self.expand = nn.Conv2D(width, 4 * width, 1, bias_attr=False)
        self.reduce_norm, self.middle_norm = nn.BatchNorm2D(width), nn.BatchNorm2D(width)
        self.expand_norm = nn.BatchNorm2D(4 * width)
        if inner != 4 * width:
            self.shortcut = nn.Conv2D(inner, 4 * width, 1, stride, bias_attr=False)
            self.shortcut_norm = nn.BatchNorm2D(4 * width)

    def forward(self, x):
        y = F.relu(self.reduce_norm(self.reduce(x)))
        y = F.relu(self.middle_norm(self.middle(y)))
        return F.relu(self.expand_norm(self.expand(y)) +
                      (self.shortcut_norm(self.shortcut(x)) if hasattr(self, "shortcut") else x))


class ResNet50(nn.Layer):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2D(3, 64, 7, 2, 3, bias_attr=False), nn.BatchNorm2D(64)
        blocks, inner = [], 64
        for width, count in ((64, 3), (128, 4), (256, 6), (512, 3)):
            for k in range(count):
                blocks.append(Bottleneck(inner, width, 2 if k == 0 and width > 64 else 1))
                inner = 4 * width
        self.blocks, self.head = nn.LayerList(blocks), nn.Linear(2048, 1000)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.stem(x))), 3, 2, 1)
        for block in self.blocks:
            x = block(x)
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))

# MobileNetV3-Large: kernel, inner channels, channels out, squeezes, hard swish, stride.
MOBILE = ((3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
          (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
          (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1),
          (5, 960, 160, 1, 1, 1))


class SqueezeExcite(nn.Layer):
    def __init__(self, channels):
        super().__init__()
        inner = (channels // 4 + 4) // 8 * 8
        self.reduce, self.expand = nn.Conv2D(channels, inner, 1), nn.Conv2D(inner, channels, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(F.adaptive_avg_pool2d(x, 1)))))


class InvertedResidual(nn.Layer):
    def __init__(self, inputs, kernel, inner, outputs, squeezes, hard_swish, stride):
        super().__init__()
        self.activation, self.residual = F.hardswish if hard_swish else F.relu, stride == 1 and inputs == outputs
        if inputs != inner:
            self.expand, self.expand_norm = nn.Conv2D(inputs, inner, 1, bias_attr=False), nn.BatchNorm2D(inner)
        self.depthwise = nn.Conv2D(inner, inner, kernel, stride, kernel // 2, groups=inner, bias_attr=False)
        self.project = nn.Conv2D(inner, outputs, 1, bias_attr=False)
        self.depthwise_norm, self.project_norm = nn.BatchNorm2D(inner), nn.BatchNorm2D(outputs)
        self.squeeze = SqueezeExcite(inner) if squeezes else nn.Identity()

    def forward(self, x):
        y = self.activation(self.expand_norm(self.expand(x))) if hasattr(self, "expand") else x
        y = self.activation(self.depthwise_norm(self.depthwise(y)))
        y = self.project_norm(self.project(self.squeeze(y)))
        return x + y if self.residual else y


class MobileNetV3(nn.Layer):
    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2D(3, 16, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(16)
        widths = [16, *(row[2] for row in MOBILE)]
        self.blocks = nn.LayerList([InvertedResidual(inputs, *row) for inputs, row in zip(widths, MOBILE)])
        self.last, self.last_norm = nn.Conv2D(160, 960, 1, bias_attr=False), nn.BatchNorm2D(960)
        self.hidden, self.head = nn.Linear(960, 1280), nn.Linear(1280, 1000)

    def forward(self, x):
        x = F.hardswish(self.stem_norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        x = F.hardswish(self.last_norm(self.last(x)))
        return self.head(F.hardswish(self.hidden(F.adaptive_avg_pool2d(x, 1).flatten(1))))


def network(name):
    """A network of bench/networks/ by its name there: the kind, then the sizes."""
    kind, sizes = re.fullmatch(r"(\w+)_([0-9x]+)", name).groups()
    sizes = [int(size) for size in sizes.split("x")]
    return {
        "resnet50": lambda batch: ResNet50(),
        "mobilenet_v3": lambda batch: MobileNetV3(),
        "bert_base": lambda batch, length: BertBase(length=length),
    }[kind](*sizes)

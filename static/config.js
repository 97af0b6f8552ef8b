// The models on offer. The server loads only the models that this file names. Save the file, and the page shows the
// change at once. A value is the name of a folder beside server.py, or of a model of the Hugging Face hub.
var ModelConfig = {
    // Models that continue a text.
    continuationModels: {
        "GPT-2 small": "gpt2"
    },
    // Models that are fine-tuned to write a story from a writing prompt. A model may have its own template:
    //     "My fine-tune": "my-model-folder",
    //     "My other one": {model: "my-other-folder", promptTemplate: "<|endoftext|>[WP] {prompt} [RESPONSE] "}
    promptModels: {}
};

// The models on offer. The server reads this file and loads nothing that is not named here. Save it, and the page
// shows the change at once. A value is the name of a folder beside server.py, or of a model of the Hugging Face hub.
var ModelConfig = {
    // Models that continue a text.
    continuationModels: {
        "GPT-2 small": "gpt2"
    },
    // Models fine-tuned to write a story from a writing prompt. Yours may have a template of its own:
    //     "My fine-tune": "my-model-folder",
    //     "My other one": {model: "my-other-folder", promptTemplate: "<|endoftext|>[WP] {prompt} [RESPONSE] "}
    promptModels: {}
};

// Which events reach which function. Deployed after the code (hooks/subscribe_events.py): a
// subscription is refused while its function does not exist.
param functionAppName string
param topicName string
param vaultEventsName string
param storageName string

@description('The functions that the deployed app has; what it has not is not subscribed')
param functions array

// One line for each function with an Event Grid trigger; tests/infra holds the app against it.
var topicSubscriptions = [
  {
    function: 'tenant_added_event'
    types: [
      'io.mondoo.onboarding.tenant.added'
    ]
  }
]
var vaultSubscriptions = [
  {
    function: 'certificate_event'
    types: [
      'Microsoft.KeyVault.CertificateNearExpiry'
      'Microsoft.KeyVault.CertificateNewVersionCreated'
    ]
  }
]

resource app 'Microsoft.Web/sites@2024-04-01' existing = {
  name: functionAppName
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageName
}

resource topic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: topicName
}

resource vaultEvents 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: vaultEventsName
}

resource topicDeliveries 'Microsoft.EventGrid/topics/eventSubscriptions@2025-02-15' = [for each in filter(topicSubscriptions, one => contains(functions, one.function)): {
  parent: topic
  name: replace(each.function, '_', '-')
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    filter: {
      includedEventTypes: each.types
    }
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: '${app.id}/functions/${each.function}'
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
      }
    }
    retryPolicy: {
      eventTimeToLiveInMinutes: 1440
      maxDeliveryAttempts: 30
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: storage.id
          blobContainerName: 'dead-letters'
        }
      }
    }
  }
}]

resource vaultDeliveries 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = [for each in filter(vaultSubscriptions, one => contains(functions, one.function)): {
  parent: vaultEvents
  name: replace(each.function, '_', '-')
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    filter: {
      includedEventTypes: each.types
    }
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: '${app.id}/functions/${each.function}'
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
      }
    }
    retryPolicy: {
      eventTimeToLiveInMinutes: 1440
      maxDeliveryAttempts: 30
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: storage.id
          blobContainerName: 'dead-letters'
        }
      }
    }
  }
}]

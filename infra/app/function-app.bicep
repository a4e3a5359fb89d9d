// The function app on Flex Consumption. Every connection goes by identity; the settings of the
// product itself come from main.bicep, what the platform needs is added here.
param name string
param location string
param tags object
param identityId string
param identityClientId string
param settings object
param storageName string
param packages string
param insightsName string
param appSubnetId string
param pythonVersion string

@description('Empty unless the durable backend is the scheduler')
param schedulerEndpoint string
param schedulerHub string

@description('Empty: function keys. Otherwise the application whose tokens are asked for in front of the app.')
param authenticationClientId string

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

// Where the host finds its own services, and as whom: addresses and a client id, never a key.
var platformSettings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: storage.properties.primaryEndpoints.blob
  AzureWebJobsStorage__queueServiceUri: storage.properties.primaryEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: storage.properties.primaryEndpoints.table
  // An address with an id that opens nothing: Application Insights refuses senders without a role.
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
}

var schedulerSettings = empty(schedulerEndpoint) ? {} : {
  // The two settings override host.json, so that one package serves both backends.
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__type: 'azureManaged'
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName: 'DURABLE_TASK_SCHEDULER'
  AzureFunctionsJobHost__extensions__durableTask__hubName: schedulerHub
  DURABLE_TASK_SCHEDULER: 'Endpoint=${schedulerEndpoint};Authentication=ManagedIdentity;ClientID=${identityClientId}'
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: 'func-${name}'
  location: location
  // azd finds the app that a service of azure.yaml is deployed to by this tag.
  tags: union(tags, { 'azd-service-name': 'onboarding' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(appSubnetId) ? null : appSubnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packages}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: pythonVersion
      }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        maximumInstanceCount: 40
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: union(settings, platformSettings, schedulerSettings)
}

// Publishing passwords would be a second way in beside the deployer's own identity.
resource noFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noScm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

resource authentication 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: !empty(authenticationClientId)
    }
    globalValidation: {
      requireAuthentication: !empty(authenticationClientId)
      unauthenticatedClientAction: 'Return401'
      // Open by design, each for a reason (docs/decisions/0006-open-endpoints.md). The webhooks of
      // the extensions ask for keys of their own, which only the platform has.
      excludedPaths: [
        '/api/health'
        '/api/dashboard'
        '/api/consent/callback'
        '/api/partner-center/events'
        '/runtime/webhooks/EventGrid'
        '/runtime/webhooks/durabletask'
      ]
    }
    httpSettings: {
      requireHttps: true
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: !empty(authenticationClientId)
        registration: {
          clientId: authenticationClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [
            authenticationClientId
            'api://${authenticationClientId}'
          ]
        }
      }
    }
    // Callers bring a token; nobody signs in here, so no session and no client secret is needed.
    login: {
      tokenStore: {
        enabled: false
      }
    }
  }
}

output id string = app.id
output name string = app.name
output hostName string = app.properties.defaultHostName
